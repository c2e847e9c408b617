import { Button, Popover, TextInput, UnstyledButton } from '@mantine/core';
import { useState } from 'react';
import { formatSpan, PRESETS, rangeLabel, rangeProblem, toLocalInput, type TimeRange } from '../../domain/timerange';
import { ChevronIcon, ClockIcon } from '../icons';
import classes from './Header.module.css';

interface RangePickerProps {
  range: TimeRange;
  onChange: (range: TimeRange) => void;
}

/** The last minutes or hours, or from one moment to another. */
export function RangePicker({ range, onChange }: RangePickerProps) {
  const [opened, setOpened] = useState(false);
  const choose = (next: TimeRange) => {
    setOpened(false);
    onChange(next);
  };
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" shadow="md" width={270} trapFocus>
      <Popover.Target>
        <Button
          size="xs" variant="default" leftSection={<ClockIcon size={15} className={classes['wide']} />} rightSection={<ChevronIcon size={13} />}
          onClick={() => { setOpened((o) => !o); }}
        >
          <span className="visually-hidden">Time range: </span>
          <span className={classes['wide']}>{rangeLabel(range)}</span>
          <span className={classes['narrow']}>{range.kind === 'relative' ? formatSpan(range.seconds) : 'Range'}</span>
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <div className={classes['presets']}>
          {PRESETS.map(({ seconds, label }) => (
            <UnstyledButton
              key={seconds} className={classes['preset']} aria-current={range.kind === 'relative' && range.seconds === seconds}
              onClick={() => { choose({ kind: 'relative', seconds }); }}
            >
              {label}
            </UnstyledButton>
          ))}
        </div>
        <Custom range={range} onChange={choose} />
      </Popover.Dropdown>
    </Popover>
  );
}

function Custom({ range, onChange }: RangePickerProps) {
  const [[first, last]] = useState(() => bounds(range, Date.now()));
  const [start, setStart] = useState(toLocalInput(first));
  const [end, setEnd] = useState(toLocalInput(last));
  const [problem, setProblem] = useState<string | null>(null);
  const submit = (event: { preventDefault: () => void }) => {
    event.preventDefault();
    const found = rangeProblem(start, end, Date.now());
    setProblem(found);
    if (found === null) onChange({ kind: 'absolute', startMs: Date.parse(start), endMs: Date.parse(end) });
  };
  return (
    <form className={classes['custom']} onSubmit={submit} noValidate>
      <TextInput size="xs" type="datetime-local" step={1} label="From" value={start} onChange={(e) => { setStart(e.currentTarget.value); }} />
      <TextInput size="xs" type="datetime-local" step={1} label="To" value={end} error={problem} onChange={(e) => { setEnd(e.currentTarget.value); }} />
      <Button size="xs" type="submit">Show this range</Button>
    </form>
  );
}

/** What a custom range starts from: the one in view. */
function bounds(range: TimeRange, nowMs: number): [number, number] {
  if (range.kind === 'absolute') return [range.startMs, range.endMs];
  return [nowMs - range.seconds * 1000, nowMs];
}
