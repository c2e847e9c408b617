import { Tooltip, UnstyledButton } from '@mantine/core';
import { FitIcon, LayoutIcon, MinusIcon, PlusIcon } from '../icons';
import classes from './Map.module.css';

interface MapControlsProps {
  onZoom: (factor: number) => void;
  onFit: () => void;
  onArrange: () => void;
}

export function MapControls({ onZoom, onFit, onArrange }: MapControlsProps) {
  const controls = [
    { label: 'Zoom in', icon: <PlusIcon />, act: () => { onZoom(1.25); } },
    { label: 'Zoom out', icon: <MinusIcon />, act: () => { onZoom(0.8); } },
    { label: 'Show everything', icon: <FitIcon />, act: onFit },
    { label: 'Arrange anew', icon: <LayoutIcon />, act: onArrange },
  ];
  return (
    <div className={classes['controls']} role="toolbar" aria-label="Map">
      {controls.map(({ label, icon, act }) => (
        <Tooltip key={label} label={label} position="right" openDelay={400}>
          <UnstyledButton aria-label={label} onClick={act}>{icon}</UnstyledButton>
        </Tooltip>
      ))}
    </div>
  );
}
