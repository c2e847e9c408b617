import { Button } from '@mantine/core';
import { Link } from 'wouter';
import { Header } from '../components/header/Header';
import { SchemeMenu } from '../components/header/SchemeMenu';
import { RadarIcon } from '../components/icons';
import classes from '../components/states/States.module.css';

export function NotFoundPage() {
  return (
    <div className="app">
      <Header><SchemeMenu /></Header>
      <main className="main">
        <div className={classes['state']}>
          <div className={classes['badge']}><RadarIcon size={32} /></div>
          <h1>There is no such page</h1>
          <p>The address may be mistyped, or from another version of Toposcope.</p>
          <div className={classes['actions']}><Button component={Link} href="/">To the service map</Button></div>
        </div>
      </main>
    </div>
  );
}
