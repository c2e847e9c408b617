import { Combobox, Kbd, TextInput, useCombobox } from '@mantine/core';
import { useHotkeys } from '@mantine/hooks';
import { useMemo, useRef, useState } from 'react';
import { rate } from '../../domain/format';
import { healthShown, type Topology } from '../../domain/graph';
import { search } from '../../domain/search';
import { SearchIcon } from '../icons';
import { HealthMark } from '../marks/HealthMark';
import { Name } from '../marks/Name';
import classes from './Toolbar.module.css';

const MOST = 12;

/** Finds a service by name, namespace, process, unit or PID; Enter goes to the first. */
export function SearchBox({ topology, onPick }: { topology: Topology; onPick: (id: string) => void }) {
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState('');
  const combobox = useCombobox({ onDropdownClose: () => { combobox.resetSelectedOption(); } });
  const found = useMemo(() => search(topology.nodes, text, MOST), [topology, text]);
  useHotkeys([['/', () => { input.current?.focus(); input.current?.select(); }, { preventDefault: true }]]);

  const change = (value: string) => {
    setText(value);
    if (value.trim() === '') { combobox.closeDropdown(); return; }
    combobox.openDropdown();
    combobox.updateSelectedOptionIndex();
    combobox.selectFirstOption();
  };
  const pick = (id: string) => {
    setText('');
    combobox.closeDropdown();
    input.current?.blur();
    onPick(id);
  };
  return (
    <Combobox store={combobox} onOptionSubmit={pick} shadow="md">
      <Combobox.Target>
        <TextInput
          ref={input} size="xs" type="search" aria-label="Find a service" placeholder="Find a service" value={text}
          leftSection={<SearchIcon size={15} />} rightSection={text === '' ? <Kbd size="xs" className={classes['key']}>/</Kbd> : null} rightSectionPointerEvents="none"
          onChange={(event) => { change(event.currentTarget.value); }}
          onFocus={() => { if (text.trim() !== '') combobox.openDropdown(); }} onBlur={() => { combobox.closeDropdown(); }}
          onKeyDown={(event) => {
            // The first one is meant even before the list has been drawn.
            if (event.key === 'Enter' && combobox.getSelectedOptionIndex() <= 0 && found[0]) {
              event.preventDefault();
              pick(found[0].id);
            } else if (event.key === 'Escape') {
              event.preventDefault();
              setText('');
              input.current?.blur();
            }
          }}
        />
      </Combobox.Target>
      <Combobox.Dropdown>
        <Combobox.Options aria-label="Services found">
          {found.map((node) => (
            <Combobox.Option key={node.id} value={node.id}>
              <span className={classes['option']}>
                <HealthMark health={healthShown(topology, node)} size={14} />
                <Name text={node.name} style={{ flex: 1 }} />
                <span className={classes['optionAside']}>{node.namespace !== '' && <bdi>{node.namespace} · </bdi>}{rate(node.requestsPerSecond)}</span>
              </span>
            </Combobox.Option>
          ))}
          {found.length === 0 && <Combobox.Empty>Nothing is called that here</Combobox.Empty>}
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  );
}
