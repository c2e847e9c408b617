import { Button } from '@mantine/core';
import { ApiError } from '../../api/client';
import { AlertIcon } from '../icons';
import classes from './States.module.css';

interface FailureProps {
  error: Error;
  onRetry: () => void;
  /** Within a panel and not in place of the whole map. */
  compact?: boolean;
}

/** What the server says went wrong, in its own words, and a way to try again. */
export function Failure({ error, onRetry, compact = false }: FailureProps) {
  const title = error instanceof ApiError ? error.title : 'This page has a fault';
  const detail = error instanceof ApiError ? error.detail : error.message;
  const status = error instanceof ApiError && error.status > 0 ? `The server answered with status ${error.status}.` : null;
  return (
    <div className={compact ? `${classes['state']} ${classes['compact']}` : classes['state']} role="alert">
      <div className={classes['badge']} data-tone="bad"><AlertIcon size={30} /></div>
      <h2>{title}</h2>
      {detail !== '' && <p>{detail}</p>}
      {status !== null && <p>{status}</p>}
      <div className={classes['actions']}><Button onClick={onRetry}>Try again</Button></div>
    </div>
  );
}
