import { dialog, stopKey } from './actions';

/** The four keys; they rest while somebody writes or a window is open. */
export function listen(): void {
  addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing || writes(e.target) || document.querySelector('dialog[open]')) return;
    const act = keys[e.key.toLowerCase()];
    if (!act) return;
    e.preventDefault();
    act();
  });
}

const keys: Record<string, () => void> = {
  a: () => {
    const box = document.getElementById('to');
    box?.scrollIntoView({ block: 'center' });
    box?.focus({ preventScroll: true });
  },
  '/': () => document.getElementById('find')?.focus(),
  '.': stopKey,
  '?': () => void (dialog.value = { kind: 'keys' }),
};

function writes(target: EventTarget | null): boolean {
  const el = target as HTMLElement | null;
  return !!el?.closest?.('input:not([type=radio]),textarea,select');
}
