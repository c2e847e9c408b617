import { ActionIcon, Drawer, Skeleton } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { useEffect, useRef, type ReactNode } from 'react';
import { CloseIcon } from '../icons';
import classes from './Panel.module.css';

interface PanelProps {
  /** What it is about, for a screen reader. */
  label: string;
  head: ReactNode;
  children: ReactNode;
  onClose: () => void;
}

/** What is known of the selected node or edge: beside the map, or over it where there is no room beside. */
export function Panel({ label, head, children, onClose }: PanelProps) {
  const narrow = useMediaQuery('(max-width: 860px)', window.innerWidth <= 860, { getInitialValueInEffect: false });
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === 'Escape' && !event.defaultPrevented) onClose();
    };
    document.addEventListener('keydown', onKey);
    return () => { document.removeEventListener('keydown', onKey); };
  }, [onClose]);
  const details = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // Whoever opened it by key goes on reading here, and is led back when it closes.
    const from = document.activeElement as HTMLElement | null;
    const byKey = from?.matches('main :focus-visible') === true;
    if (byKey) details.current?.focus();
    return () => { if (byKey && from.isConnected) from.focus(); };
  }, []);
  const close = <ActionIcon variant="subtle" color="gray" aria-label="Close" onClick={onClose}><CloseIcon /></ActionIcon>;
  const body = (
    <>
      <div className={classes['head']}><div className={classes['heading']}>{head}</div>{close}</div>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls has to be reachable by keys */}
      <div ref={details} className={classes['scroll']} tabIndex={0} role="region" aria-label={`${label}: details`}>{children}</div>
    </>
  );
  if (narrow) {
    return (
      <Drawer.Root opened onClose={onClose} position="bottom" size="100%" padding={0} transitionProps={{ duration: 0 }}>
        <Drawer.Overlay />
        <Drawer.Content aria-label={label}><Drawer.Body className={classes['sheet']}>{body}</Drawer.Body></Drawer.Content>
      </Drawer.Root>
    );
  }
  return <aside className={classes['panel']} aria-label={label}>{body}</aside>;
}

export function Section({ title, aside, children }: { title: string; aside?: string; children: ReactNode }) {
  return (
    <section className={classes['section']}>
      <h3>{title} {aside !== undefined && <span>{aside}</span>}</h3>
      {children}
    </section>
  );
}

export function PanelSkeleton() {
  return (
    <div aria-hidden="true">
      <Skeleton height={62} mt={16} />
      {[0, 1, 2].map((i) => <Skeleton key={i} height={118} mt={28} />)}
      <Skeleton height={160} mt={28} />
    </div>
  );
}
