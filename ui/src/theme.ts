import { createTheme, type MantineColorsTuple } from '@mantine/core';

const indigo: MantineColorsTuple = [
  '#eef1ff', '#dbe1fd', '#b5c0f7', '#8c9df1', '#6a7fec', '#546de9', '#4763e7', '#3851cd', '#2f48b8', '#223ca3',
];

// Greys with a trace of blue, as in theme.css.
const dark: MantineColorsTuple = [
  '#e8edf3', '#c3ccd8', '#9aa7b8', '#6b7888', '#36414f', '#2a3441', '#1b222c', '#161c25', '#0d1117', '#0a0d12',
];

export const theme = createTheme({
  primaryColor: 'indigo',
  colors: { indigo, dark },
  primaryShade: { light: 7, dark: 5 },
  defaultRadius: 'md',
  fontFamily: "'Inter Variable', system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif",
  fontFamilyMonospace: "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace",
  headings: { fontWeight: '600' },
  respectReducedMotion: true,
  components: {
    Button: { styles: { label: { fontWeight: 500 } } },
  },
});
