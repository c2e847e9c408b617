import { Button } from '@mantine/core';
import { AlertIcon } from '../icons';
import classes from './Toolbar.module.css';

/** Says that what is on the screen is no longer the latest, and why. */
export function StaleBanner({ error, onRetry }: { error: Error; onRetry: () => void }) {
  return (
    <div className={classes['banner']} role="alert">
      <AlertIcon size={16} />
      <span>Updates are failing; this is the last that arrived. {error.message}</span>
      <Button size="compact-xs" variant="default" onClick={onRetry}>Try again</Button>
    </div>
  );
}
