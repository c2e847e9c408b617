import { Popover, UnstyledButton } from '@mantine/core';
import type { Health } from '../../api/types';
import type { Capture } from '../../domain/capture';
import { HealthMark } from '../marks/HealthMark';
import classes from './Header.module.css';

const MARKS: Record<Capture['state'], Health> = { ok: 'ok', loss: 'warning', detached: 'critical', unknown: 'idle' };

/** How capture is going; a click tells more. */
export function CaptureDot({ capture }: { capture: Capture }) {
  return (
    <Popover position="bottom-end" shadow="md" radius="md">
      <Popover.Target>
        <UnstyledButton className={classes['capture']} aria-label={`${capture.label}. About capture`} data-state={capture.state}>
          <HealthMark health={MARKS[capture.state]} />
          <span className={classes['captureLabel']}>{capture.label}</span>
        </UnstyledButton>
      </Popover.Target>
      <Popover.Dropdown><p className={classes['captureDetail']}>{capture.detail}</p></Popover.Dropdown>
    </Popover>
  );
}
