import { Button, Checkbox, Popover, Stack, TextInput } from '@mantine/core';
import { useState } from 'react';
import { ChevronIcon } from '../icons';
import { Name } from '../marks/Name';
import classes from './Toolbar.module.css';

interface ChoiceFilterProps {
  name: string;
  all: readonly string[];
  chosen: readonly string[];
  onChange: (chosen: string[]) => void;
}

// From here on a list is quicker typed at than read.
const MANY = 12;

/** Some of many; none chosen means all. */
export function ChoiceFilter({ name, all, chosen, onChange }: ChoiceFilterProps) {
  const [text, setText] = useState('');
  const shown = [...new Set([...all, ...chosen])].filter((value) => value.toLocaleLowerCase().includes(text.toLocaleLowerCase()));
  const toggle = (value: string) => {
    onChange(chosen.includes(value) ? chosen.filter((v) => v !== value) : [...chosen, value]);
  };
  const label = chosen.length === 0 ? name : chosen.length === 1 ? `${name}: ${chosen[0] === '' ? 'none' : chosen[0]!}` : `${name}: ${chosen.length}`;
  return (
    <Popover position="bottom-start" shadow="md" width={240} trapFocus>
      <Popover.Target>
        <Button className={classes['toggle']} size="xs" variant="default" data-on={chosen.length > 0 || undefined} rightSection={<ChevronIcon size={13} />} maw={260}>
          <bdi>{label}</bdi>
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        {all.length > MANY && (
          <TextInput size="xs" mb={10} aria-label={`Find a ${name.toLocaleLowerCase()}`} placeholder="Find" value={text} onChange={(e) => { setText(e.currentTarget.value); }} />
        )}
        <Stack gap={9} className={classes['choices']} role="group" aria-label={name}>
          {shown.map((value) => (
            <Checkbox
              key={value} size="xs" checked={chosen.includes(value)} onChange={() => { toggle(value); }}
              label={value === '' ? 'none' : <Name text={value} style={{ display: 'block' }} />}
            />
          ))}
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}
