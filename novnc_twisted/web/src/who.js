/*
 * Who is at the console: what is shown of each person, and what can be done.
 */

/** The people who came and those who left: `{joined, left}`.  Both are empty for the first list of a session. */
export function changes(before, after) {
    if (!before) {
        return { joined: [], left: [] };
    }
    const ids = (list) => new Set(list.people.map(({ id }) => id));
    const [old, now] = [ids(before), ids(after)];
    const others = (list, known) => list.people.filter(({ id }) => !known.has(id) && id !== after.you);
    return { joined: others(after, old), left: others(before, now) };
}

/**
 * What the viewer may do with the people of a list: `{request, take, release, give, stop}`.
 *
 * `give`: the ids of people who can be given control; `stop`: those from whom it can be taken.  `take` takes control
 * from everybody to whom the viewer gave it, so `stop` does not list them.
 *
 * @param {{you: string, people: object[], more: number}} list  as the proxy sent it
 * @param {{mode: string, own: string}} rights  what the viewer may do now, and by its own link
 */
export function actions({ you, people, more = 0 }, { mode, own }) {
    const controls = mode === 'control';
    const take = !controls && own === 'control';
    const others = more > 0 || people.some((one) => one.id !== you && one.mode === 'control' && one.page);
    const borrowed = people.some(({ id, given_by: by }) => id === you && by);
    const stop = people.filter((one) => one.id !== you && one.mode === 'control'
        && (one.given_by === you ? !take : one.yours && own === 'control'));
    return {
        request: !controls && own !== 'control' && others,
        take,
        release: controls && borrowed,
        give: controls ? people.filter((one) => one.id !== you && one.page && one.mode !== 'control').map(({ id }) => id) : [],
        stop: stop.map(({ id }) => id),
    };
}

/** A message of the proxy as an object, or null for any other text. */
export function message(text) {
    try {
        const read = JSON.parse(text);
        return read !== null && typeof read === 'object' && typeof read.type === 'string' ? read : null;
    } catch {
        return null;
    }
}

/** The text for the reason of a refusal, by name. */
export const REASONS = {
    gone: 'peopleGone', nobody: 'peopleNobody', barred: 'peopleBarred', forbidden: 'peopleForbidden',
};
