/*
 * The operator's logo and links on the page, and the settings that users cannot change.
 */
import { $ } from './page.js';
import { site } from './site.js';
import { language, text } from './strings.js';

const CONTROLS = { // the controls of each setting
    picture: ['scale', 'original', 'remote', 'fit'],
    layout: ['layout'],
    language: ['language'],
    save_data: ['save-data'],
    view_only: ['view-only'],
};

/* `{language}` in the address is the language of the page. */
function link(url, words) {
    const element = document.createElement('a');
    element.href = url.replaceAll('{language}', language);
    element.textContent = words;
    element.target = '_blank';
    element.rel = 'noreferrer';
    return element;
}

function hint(content) {
    const element = document.createElement('p');
    element.className = 'hint';
    element.append(content);
    return element;
}

/** Show what the operator has set. */
export function brand() {
    if (site.logo) {
        const logo = new Image();
        logo.className = 'logo';
        logo.src = site.logo;
        logo.alt = site.name;
        $('bar').prepend(logo);
    }
    const fixed = Object.keys(site.fixed).flatMap((name) => CONTROLS[name]);
    for (const id of fixed) {
        $(id).disabled = true;
    }
    if (fixed.length) {
        $('panel-more').append(hint(text.fixedHint));
    }
    if (site.help) {
        $('panel-more').append(hint(link(site.help, text.help)));
    }
}

/** On the card of a refusal: the operator's help, and, if only a new link helps, where to get one. */
export function offerLinks(newLink) {
    const links = [
        site.newLink && newLink && link(site.newLink, text.newLink),
        site.help && link(site.help, text.help),
    ].filter(Boolean);
    const row = hint('');
    row.id = 'links';
    row.append(...links.flatMap((each, i) => (i ? [' · ', each] : [each])));
    if ($('links')?.isEqualNode(row)) {
        return; // a link that has the focus keeps it
    }
    $('links')?.remove();
    if (links.length) {
        $('countdown').after(row);
    }
}
