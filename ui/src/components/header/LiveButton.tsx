import { Button } from '@mantine/core';
import { PauseIcon, PlayIcon } from '../icons';
import classes from './Header.module.css';

/** Stops and starts asking for news. What is selected and where one looks stays as it is. */
export function LiveButton({ live, onChange }: { live: boolean; onChange: (live: boolean) => void }) {
  return (
    <Button
      size="xs" variant="default" aria-pressed={live} aria-label={live ? 'Live. Pause updates' : 'Paused. Resume updates'}
      leftSection={live ? <span className={classes['liveDot']} /> : null} rightSection={live ? <PauseIcon size={14} /> : <PlayIcon size={14} />}
      onClick={() => { onChange(!live); }}
    >
      <span className={classes['wide']}>{live ? 'Live' : 'Paused'}</span>
    </Button>
  );
}
