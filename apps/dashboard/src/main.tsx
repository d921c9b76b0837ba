import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { RouterProvider } from 'react-router/dom';
import { isRefusal } from './api/client.ts';
import { Toasts } from './components/toasts.tsx';
import { router } from './routes.tsx';
import { SessionGate } from './session/session.tsx';
import { applyTheme } from './session/theme.ts';
import './style.css';

applyTheme();

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      // What the API refused it would refuse again. What does not answer is said to be away after two seconds.
      retry: (failures, error) => failures < 3 && !isRefusal(error),
      retryDelay: 700,
    },
  },
});

const root = document.getElementById('root');
if (!root) throw new Error('index.html has no #root');
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <Toasts>
        <SessionGate>
          <RouterProvider router={router} />
        </SessionGate>
      </Toasts>
    </QueryClientProvider>
  </StrictMode>,
);
