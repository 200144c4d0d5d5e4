/*
 * Where to connect to, and with which view: read from the page's own address.  Pure.
 */

const DEFAULT_PATH = 'websockify'; // what reverse proxies in front of noVNC forward
const YES = ['1', 'true', 'yes', 'on'];

/* The last of several counts, as it does for the proxy; an empty token is none. */
function last(query, name) {
    const values = query.getAll(name);
    return values.length ? values[values.length - 1] : null;
}

/**
 * The address of the WebSocket for a page that was opened at `href`.
 *
 * Understands `?token=T` and `?path=PATH%3Ftoken%3DT`.  The host is always the page's own: `host`, `port` and
 * a path that looks like another site are not obeyed, so that a crafted link can't carry the token away.
 */
export function socketURL(href) {
    const page = new URL(href);
    const token = last(page.searchParams, 'token');
    const given = last(page.searchParams, 'path') ?? DEFAULT_PATH;

    const mark = given.indexOf('?');
    const path = mark < 0 ? given : given.slice(0, mark);
    const query = new URLSearchParams(mark < 0 ? '' : given.slice(mark + 1));
    if (token && !last(query, 'token')) {
        query.delete('token');
        query.append('token', token);
    }

    const folder = page.pathname.slice(0, page.pathname.lastIndexOf('/') + 1);
    const socket = new URL(page.origin);
    socket.protocol = page.protocol === 'https:' ? 'wss:' : 'ws:';
    socket.pathname = /^[/\\]/.test(path) ? path.replace(/^[/\\]+/, '/') : folder + path;
    socket.search = query.toString();
    return socket.href;
}

/** The view that the address asks for, in stock noVNC's words: `resize=scale|off`, `view_only=1`, `logging=debug`. */
export function viewOptions(href) {
    const query = new URL(href).searchParams;
    const logging = last(query, 'logging');
    return {
        scale: !['off', 'none'].includes(last(query, 'resize')),
        viewOnly: YES.includes((last(query, 'view_only') ?? '').toLowerCase()),
        logging: ['error', 'warn', 'info', 'debug'].includes(logging) ? logging : 'none',
    };
}
