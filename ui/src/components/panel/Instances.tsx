import { Button } from '@mantine/core';
import { useState } from 'react';
import type { Instance } from '../../api/types';
import { readable } from '../../domain/text';
import classes from './Panel.module.css';

const FIRST = 10;

/** The processes behind a node. Only what is known of each is shown. */
export function Instances({ instances }: { instances: readonly Instance[] }) {
  const [all, setAll] = useState(false);
  const shown = all ? instances : instances.slice(0, FIRST);
  return (
    <>
      <ul className={classes['instances']}>
        {shown.map((instance, i) => <li key={`${instance.pid} ${i}`} className={classes['instance']}><dl>{facts(instance)}</dl></li>)}
      </ul>
      {shown.length < instances.length && (
        <Button mt={8} size="xs" variant="subtle" onClick={() => { setAll(true); }}>Show {instances.length - shown.length} more</Button>
      )}
    </>
  );
}

function facts(instance: Instance) {
  const list: [string, string][] = [
    ['Process', instance.process],
    ['PID', instance.pid === 0 ? '' : String(instance.pid)],
    ['Unit', instance.systemdUnit],
    ['Pod', instance.pod],
    ['Container', instance.container],
    ['Node', instance.node],
  ];
  return list.filter(([, value]) => value !== '').map(([name, value]) => (
    <div key={name} style={{ display: 'contents' }}>
      <dt>{name}</dt>
      <dd className={classes['mono']}><bdi>{readable(value)}</bdi></dd>
    </div>
  ));
}
