// Which page is shown: #/name, #/name/what or #/name?of=what.

const parse = (hash: string): { page: string; what: string; query: URLSearchParams } => {
  const [path = '', ...query] = hash.replace(/^#\/?/, '').split('?');
  const [page = '', ...rest] = path.split('/');
  let what = rest.join('/');
  try {
    what = decodeURIComponent(what);
  } catch {
    // taken as it is
  }
  return { page: page || 'overview', what, query: new URLSearchParams(query.join('?')) };
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

  get query(): URLSearchParams {
    return this.#at.query;
  }
}

export const route = new Route();
export const href = (page: string, what?: string): string => `#/${page}` + (what ? '/' + encodeURIComponent(what) : '');
