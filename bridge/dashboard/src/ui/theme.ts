import { effect, signal } from '@preact/signals';

export type Theme = 'auto' | 'light' | 'dark';

const order: readonly Theme[] = ['auto', 'light', 'dark'];
const key = 'tacet.theme';

export const theme = signal<Theme>(stored());

/** The next of the three. */
export function turn(): void {
  theme.value = order[(order.indexOf(theme.value) + 1) % order.length]!;
}

function stored(): Theme {
  try {
    const t = localStorage.getItem(key) as Theme;
    return order.includes(t) ? t : 'auto';
  } catch {
    return 'auto'; // a browser that keeps nothing
  }
}

effect(() => {
  document.documentElement.dataset.theme = theme.value;
  try {
    localStorage.setItem(key, theme.value);
  } catch {
    // Then it holds for this page alone.
  }
});
