// One bubble for all explanations: on pointing, on focus by keyboard, and for those who hear the
// page as the element's description. Native tooltips are neither reached by keyboard nor quick.

export interface Tip {
  text: string;
  box: DOMRect;
}

class Tips {
  shown = $state.raw<Tip | undefined>();
  #node: HTMLElement | undefined;

  show(node: HTMLElement, text: string): void {
    this.#node = node;
    this.shown = { text, box: node.getBoundingClientRect() };
  }

  hide(node?: HTMLElement): void {
    if (!this.#node || (node && node !== this.#node)) return;
    this.#node = undefined;
    // Focus is lost, too, when the element is taken away while the page is being changed.
    queueMicrotask(() => {
      if (!this.#node) this.shown = undefined;
    });
  }

  /** The text has changed: pinned is unpinned, say. */
  change(node: HTMLElement, text: string): void {
    if (node === this.#node) this.show(node, text);
  }
}

export const tips = new Tips();

const patience = 250;

/** An action: explains an element; without a text it does nothing. */
export function tip(node: HTMLElement, text: string) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const describe = () => (text ? node.setAttribute('aria-description', text) : node.removeAttribute('aria-description'));
  const enter = (e: PointerEvent) => {
    if (e.pointerType === 'touch' || !text) return;
    timer = setTimeout(() => tips.show(node, text), patience);
  };
  const leave = () => {
    clearTimeout(timer);
    tips.hide(node);
  };
  const focus = () => text !== '' && node.matches(':focus-visible') && tips.show(node, text);
  const key = (e: KeyboardEvent) => e.key === 'Escape' && tips.hide(node);
  node.addEventListener('pointerenter', enter);
  node.addEventListener('pointerleave', leave);
  node.addEventListener('pointerdown', leave);
  node.addEventListener('focus', focus);
  node.addEventListener('blur', leave);
  node.addEventListener('keydown', key);
  describe();
  return {
    update(other: string) {
      if (other === text) return;
      text = other;
      describe();
      tips.change(node, text);
    },
    destroy: leave, // the listeners go with the node
  };
}
