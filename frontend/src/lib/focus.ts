// Buttons that are pressed often change: Stop becomes Start, or is disabled while its order
// runs. Whoever goes by keyboard would be thrown back to the page's beginning.

/** An action for a group of buttons: focus that a change of the group takes away comes back to it. */
export function keepFocus(group: HTMLElement) {
  let inside = false;
  const enter = () => (inside = true);
  const leave = (e: FocusEvent) => {
    const left = e.target as HTMLElement;
    if (left.isConnected && !(left as HTMLButtonElement).disabled) inside = false; // by its own will
  };
  const change = new MutationObserver(() => {
    const active = document.activeElement as HTMLButtonElement | null;
    if (!inside || (active && active !== document.body && !active.disabled)) return;
    group.querySelector<HTMLElement>('button:not(:disabled), a[href]')?.focus();
  });
  group.addEventListener('focusin', enter);
  group.addEventListener('focusout', leave);
  change.observe(group, { childList: true, subtree: true, attributeFilter: ['disabled'] });
  return {
    destroy() {
      change.disconnect();
      group.removeEventListener('focusin', enter);
      group.removeEventListener('focusout', leave);
    },
  };
}
