/*
 * The filters as parameters of the address, so that a bookmark or a shared address shows the same list.
 */

export const FIELDS = ['text', 'state', 'project', 'host'];

export function read(search) {
    const query = new URLSearchParams(search);
    return Object.fromEntries(FIELDS.map((field) => [field, query.get(field === 'text' ? 'name' : field) ?? '']));
}

export function write(filters) {
    const query = new URLSearchParams();
    for (const field of FIELDS) {
        if (filters[field]) {
            query.set(field === 'text' ? 'name' : field, filters[field]);
        }
    }
    const text = query.toString();
    return text ? `?${text}` : '';
}
