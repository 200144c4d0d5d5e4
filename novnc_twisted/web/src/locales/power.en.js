/*
 * The texts of power actions in English, for the list of servers and for the console page; `power` of the JSON files beside
 * this one has the other languages.
 */
export const text = {
    power: 'Power',
    cancelAction: 'Cancel',
    wrongState: 'The state of the server does not allow this now.',
    noAction: 'Nothing can be done with the server now.',
    startServer: 'Start the server',
    resumeServer: 'Resume the server',
    connectsThen: 'The console opens here when the server runs.',
    startBegun: 'The server is being started. The console opens here when it runs.',
    startFailed: 'The server was not started. The list of servers says why.',
};

export const say = {
    report: '{name}: {done}',
    question: '{action} {name}?',
};

/* `done` follows the name of the server, see `report`. */
export const actions = {
    start: { label: 'Start', done: 'is being started.', consequence: 'The server is started.' },
    resume: { label: 'Resume', done: 'goes on.', consequence: 'The server goes on where it was suspended.' },
    unpause: { label: 'Continue', done: 'goes on.', consequence: 'The server goes on where it was paused.' },
    stop: {
        label: 'Shut down',
        done: 'is asked to shut down.',
        consequence: 'The guest is asked to shut down. If it takes too long, it may be switched off.',
    },
    reboot: { label: 'Reboot', done: 'is asked to reboot.', consequence: 'The guest is asked to reboot.' },
    reset: { label: 'Reset', done: 'is being reset.', consequence: 'Like the reset button of a computer: unsaved data of the guest is lost.' },
    pause: { label: 'Pause', done: 'is being paused.', consequence: 'The guest stops at once and keeps its memory in the host.' },
    suspend: {
        label: 'Suspend',
        done: 'is being suspended.',
        consequence: "The guest's memory is saved to disk, and the server stops.",
    },
};
