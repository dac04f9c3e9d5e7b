// Which page is shown: #/name or #/name/what.

const parse = (hash: string): { page: string; what: string } => {
  const [page = '', ...rest] = hash.replace(/^#\/?/, '').split('/');
  let what = rest.join('/');
  try {
    what = decodeURIComponent(what);
  } catch {
    // taken as it is
  }
  return { page: page || 'overview', what };
};

class Route {
  #at = $state(parse(location.hash));

  constructor() {
    addEventListener('hashchange', () => (this.#at = parse(location.hash)));
  }

  get page(): string {
    return this.#at.page;
  }

  get what(): string {
    return this.#at.what;
  }
}

export const route = new Route();
export const href = (page: string, what?: string): string => `#/${page}` + (what ? '/' + encodeURIComponent(what) : '');
