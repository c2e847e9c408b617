import { ActionIcon, Menu, useComputedColorScheme, useMantineColorScheme, type MantineColorScheme } from '@mantine/core';
import { MoonIcon, ScreenIcon, SunIcon } from '../icons';

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
            key={scheme} role="menuitemradio" aria-checked={colorScheme === scheme} leftSection={<Icon size={15} />}
            fw={colorScheme === scheme ? 600 : 400} onClick={() => { setColorScheme(scheme); }}
          >
            {label}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
