import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { Logo } from '../marks/Logo';
import classes from './Header.module.css';

/** The bar above every page: the product's name leads home. */
export function Header({ search, children }: { search?: ReactNode; children?: ReactNode }) {
  return (
    <header className={classes['header']}>
      <Link href="/" className={classes['brand']} aria-label="Toposcope, to the start page"><Logo /><span>Toposcope</span></Link>
      {search && <div className={classes['search']}>{search}</div>}
      <div className={classes['tools']}>{children}</div>
    </header>
  );
}
