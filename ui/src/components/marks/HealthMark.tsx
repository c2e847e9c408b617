import type { ReactNode } from 'react';
import type { Health } from '../../api/types';
import { HEALTH_WORD } from '../../domain/health';

/** Each health has a shape of its own: disc, triangle, octagon, ring. Colour only repeats it. */
const SHAPES: Record<Health, ReactNode> = {
  ok: (
    <>
      <circle cx="8" cy="8" r="6.5" fill="var(--ok)" />
      <path d="m5.2 8.2 2 2 3.6-4" stroke="var(--surface)" strokeWidth="1.7" fill="none" strokeLinecap="round" strokeLinejoin="round" />
    </>
  ),
  warning: (
    <>
      <path d="M8 1.6 15.2 14H.8z" fill="var(--warning-mark)" stroke="var(--warning-mark)" strokeWidth="1.2" strokeLinejoin="round" />
      <path d="M8 6v4M8 12h.01" stroke="#20160a" strokeWidth="1.7" strokeLinecap="round" />
    </>
  ),
  critical: (
    <>
      <path d="M5.2 1.2h5.6l4 4v5.6l-4 4H5.2l-4-4V5.2z" fill="var(--critical-mark)" />
      <path d="m5.6 5.6 4.8 4.8m0-4.8-4.8 4.8" stroke="#fff" strokeWidth="1.8" strokeLinecap="round" />
    </>
  ),
  idle: <circle cx="8" cy="8" r="5.7" fill="none" stroke="var(--idle)" strokeWidth="1.6" strokeDasharray="2.4 2.08" />,
};

export function HealthMark({ health, size = 16, titled = false }: { health: Health; size?: number; titled?: boolean }) {
  const label = titled ? { role: 'img', 'aria-label': HEALTH_WORD[health] } : { 'aria-hidden': true };
  return (
    <svg width={size} height={size} viewBox="0 0 16 16" focusable="false" style={{ flex: 'none' }} {...label}>
      {SHAPES[health]}
    </svg>
  );
}
