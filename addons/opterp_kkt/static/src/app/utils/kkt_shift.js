const LATE = 23 * 60 * 60; // s: the till says it
export const LONGEST = 24 * 60 * 60; // s: by law

/** How old the shift is that the server told of last; `now` as of `seconds`. Without one, none is late. */
export function getShiftAge({ shift, answeredAt }, now) {
    return shift ? shift.age + now - answeredAt : 0;
}

export function isShiftLate(health, now) {
    return getShiftAge(health, now) >= LATE;
}

/** Whether the till stops before payment: the shop has chosen so for a shift that is over. */
export function isShiftRefused(health, now) {
    return Boolean(health.shift?.refuses) && getShiftAge(health, now) >= LONGEST;
}
