import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { Route, Switch } from 'wouter';
import { ApiError } from './api/client';
import { MapPage } from './pages/MapPage';
import { NotFoundPage } from './pages/NotFoundPage';
import { theme } from './theme';

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // What the server refuses it will refuse again; a broken connection is worth a second try.
      retry: (failures, error) => failures < 1 && error instanceof ApiError && error.status === 0,
      refetchOnWindowFocus: false,
      structuralSharing: true,
    },
  },
});

export function App() {
  return (
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <QueryClientProvider client={client}>
        <Switch>
          <Route path="/"><MapPage /></Route>
          <Route><NotFoundPage /></Route>
        </Switch>
      </QueryClientProvider>
    </MantineProvider>
  );
}
