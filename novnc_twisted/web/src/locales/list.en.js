/*
 * Every text of the list of servers in English; `list` of the JSON files beside this one has the other languages.
 */
export const text = {
    servers: 'Servers',
    search: 'Search',
    nameOrId: 'Name or id',
    state: 'State',
    project: 'Project',
    host: 'Host',
    all: 'All',
    power: 'Power',
    cancel: 'Cancel',
    share: 'Share',
    watchOnly: 'Watch only',
    control: 'Control the server',
    may: 'The person may',
    validFor: 'Valid for',
    once: 'Opens one console once',
    makeLink: 'Make a link',
    close: 'Close',
    link: 'The link',
    minutes5: '5 minutes',
    minutes10: '10 minutes',
    hour1: '1 hour',
    hours8: '8 hours',
    onClipboard: 'It is on your clipboard.',
    copyIt: 'Copy it and send it.',
};

export const say = {
    count: { one: '{count} server', other: '{count} servers' },
    some: { one: '{shown} of {count} server', other: '{shown} of {count} servers' },
    users: 'On it: {names}',
    open: 'Open the console of {name}',
    noScreen: '{name} has no screen now',
    report: '{name}: {done}',
    question: '{action} {name}?',
    share: 'Share the console of {name}',
    until: 'Valid until {time}. {how}',
    status: 'The server answered with status {status}.',
};

export const states = {
    ACTIVE: 'Running',
    SHUTOFF: 'Off',
    PAUSED: 'Paused',
    SUSPENDED: 'Suspended',
    ERROR: 'Crashed',
    UNKNOWN: 'Unknown',
};

/* `done` follows the name of the server, see `report`. */
export const actions = {
    start: { label: 'Start', done: 'is being started.', consequence: 'The server is started.' },
    resume: { label: 'Resume', done: 'goes on.', consequence: 'The server goes on where it was suspended.' },
    unpause: { label: 'Continue', done: 'goes on.', consequence: 'The server goes on where it was paused.' },
    stop: {
        label: 'Shut down',
        done: 'is asked to shut down.',
        consequence: 'The guest is asked to shut down. After a minute it is switched off.',
    },
    reboot: { label: 'Reboot', done: 'is asked to reboot.', consequence: 'The guest is asked to reboot.' },
    reset: { label: 'Reset', done: 'is being reset.', consequence: 'As the reset button: unsaved data of the guest is lost.' },
    pause: { label: 'Pause', done: 'is being paused.', consequence: 'The guest stops at once and keeps its memory in the host.' },
    suspend: {
        label: 'Suspend',
        done: 'is being suspended.',
        consequence: "The guest's memory is saved to disk, and the server stops.",
    },
};
