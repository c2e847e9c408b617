import { ActionIcon, Menu, useComputedColorScheme, useMantineColorScheme, type MantineColorScheme } from '@mantine/core';
import { CheckIcon, MoonIcon, ScreenIcon, SunIcon } from '../icons';

const SCHEMES: { scheme: MantineColorScheme; label: string; icon: typeof SunIcon }[] = [
  { scheme: 'auto', label: 'As the system', icon: ScreenIcon },
  { scheme: 'light', label: 'Light', icon: SunIcon },
  { scheme: 'dark', label: 'Dark', icon: MoonIcon },
];

export function SchemeMenu() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const shown = useComputedColorScheme('light');
  return (
    <Menu position="bottom-end" shadow="md">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size={30} aria-label="Colours">{shown === 'dark' ? <MoonIcon /> : <SunIcon />}</ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {SCHEMES.map(({ scheme, label, icon: Icon }) => (
          <Menu.Item
            key={scheme} leftSection={<Icon size={15} />}
            rightSection={colorScheme === scheme ? <CheckIcon size={14} /> : null} onClick={() => { setColorScheme(scheme); }}
          >
            {label}
            {colorScheme === scheme && <span className="visually-hidden">, chosen</span>}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
