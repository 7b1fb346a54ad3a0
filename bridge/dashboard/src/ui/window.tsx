import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { dialog } from './actions';

export const close = (): void => void (dialog.value = null);

/** A window over the page, which gives the focus back when it closes. */
export function Window({ title, label, wide, children }: { title: string; label: string; wide?: boolean; children: ComponentChildren }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    box.current?.showModal();
    return () => before?.focus();
  }, []);
  return (
    <dialog ref={box} class={wide ? 'wide' : ''} aria-labelledby="h-window" onClose={close} onClick={(e) => e.target === box.current && close()}>
      <div class="window">
        <div class="ph"><h2 id="h-window">{title}</h2><span class="sp" /><button class="btn s" onClick={close}>{label}</button></div>
        {children}
      </div>
    </dialog>
  );
}
