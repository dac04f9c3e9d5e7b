// Short notices at the foot of the page, and what can be undone while one is shown.

export interface Notice {
  id: number;
  text: string;
  bad: boolean;
  /** What can be done about it. */
  action?: { label: string; do: () => void };
  /** When it goes by itself. */
  until: number;
}

class Notices {
  all = $state<Notice[]>([]);
  #next = 1;

  say(text: string, o: { bad?: boolean; action?: Notice['action']; for?: number } = {}): number {
    const time = o.for ?? (o.bad ? 12_000 : 5000);
    const n: Notice = { id: this.#next++, text, bad: o.bad ?? false, action: o.action, until: Date.now() + time };
    this.all = [...this.all.slice(-3), n];
    setTimeout(() => this.drop(n.id), time);
    return n.id;
  }

  drop(id: number): void {
    this.all = this.all.filter((n) => n.id !== id);
  }
}

export const notices = new Notices();
