/*
 * The words of the list.
 */
export const STATES = {
    ACTIVE: 'Running',
    SHUTOFF: 'Off',
    PAUSED: 'Paused',
    SUSPENDED: 'Suspended',
    ERROR: 'Crashed',
    UNKNOWN: 'Unknown',
};

export const ACTIONS = [
    { label: 'Start', done: 'is being started.', states: ['SHUTOFF'], body: { 'os-start': null },
        consequence: 'The server is started.' },
    { label: 'Resume', done: 'goes on.', states: ['SUSPENDED'], body: { resume: null },
        consequence: 'The server goes on where it was suspended.' },
    { label: 'Continue', done: 'goes on.', states: ['PAUSED'], body: { unpause: null },
        consequence: 'The server goes on where it was paused.' },
    { label: 'Shut down', done: 'is asked to shut down.', states: ['ACTIVE'], body: { 'os-stop': null }, ask: true,
        consequence: 'The guest is asked to shut down. After a minute it is switched off.' },
    { label: 'Reboot', done: 'is asked to reboot.', states: ['ACTIVE'], body: { reboot: { type: 'SOFT' } }, ask: true,
        consequence: 'The guest is asked to reboot.' },
    { label: 'Reset', done: 'is being reset.', states: ['ACTIVE', 'PAUSED', 'ERROR'], body: { reboot: { type: 'HARD' } },
        ask: true,
        consequence: 'As the reset button: unsaved data of the guest is lost.' },
    { label: 'Pause', done: 'is being paused.', states: ['ACTIVE'], body: { pause: null }, ask: true,
        consequence: 'The guest stops at once and keeps its memory in the host.' },
    { label: 'Suspend', done: 'is being suspended.', states: ['ACTIVE'], body: { suspend: null }, ask: true,
        consequence: "The guest's memory is saved to disk, and the server stops." },
];
