import type { Kind } from '../../api/types';
import { ExternalIcon, HostIcon, ServiceIcon, UnknownIcon, WorkloadIcon } from '../icons';
import classes from './KindMark.module.css';

const ICONS = { service: ServiceIcon, workload: WorkloadIcon, host: HostIcon, external: ExternalIcon, unknown: UnknownIcon };

export const KIND_WORD: Record<Kind, string> = {
  service: 'service',
  workload: 'workload',
  host: 'host',
  external: 'external address',
  unknown: 'unknown process',
};

/** The sign of a kind on a ground of its own shape. */
export function KindMark({ kind, size = 34 }: { kind: Kind; size?: number }) {
  const Icon = ICONS[kind];
  return (
    <span className={classes['mark']} data-kind={kind} style={{ width: size, height: size }}>
      <Icon size={size * 0.56} />
    </span>
  );
}
