from odoo import models
from odoo.tools import format_date

from ..core.tags import TAGS


class KktExplanation(models.AbstractModel):
    """What a `DocumentError` means for a person who makes a correction receipt: which field, what is wrong, what to do."""

    _inherit = 'kkt.explanation'

    def _explain_in_correction(self, error):
        return self._in_line(
            error,
            self._explain_cause(error)
            or self._explain_subject(error)
            or self._explain_content(error)
            or self._explain_register(error)
            or self._explain_sale(error)
            or self._explain_field(error),
        )

    def _explain_cause(self, error):
        """Reason, day and number."""
        values = {name: error.values.get(name) for name in ('document', 'most')}
        day, first = (format_date(self.env, error.values[name]) if name in error.values else '' for name in ('day', 'first'))
        if error.code == 'missing' and error.values['field'] == 1178:
            return self.env._("Day of the settlement: say on which day goods and money changed hands.")
        return {
            'day_future': self.env._(
                "Day of the settlement: %s has not come yet. A correction is about a day that is past, or about today.", day
            ),
            'day_early': self.env._(
                "Day of the settlement: %(day)s is before %(first)s, and fiscal documents have no VAT rates of then.",
                day=day,
                first=first,
            ),
            'day_of_receipt': self.env._(
                "Day of the settlement: %(document)s is of %(day)s, and its correction names that day.", day=day, **values
            ),
            'order_number': self.env._(
                "Number of the tax office's order: it is empty. Copy it from the order, or choose the shop's own decision as the"
                " reason."
            ),
            'own_decision': self.env._(
                "Number of the tax office's order: a correction by the shop's own decision has none. Remove it, or choose the"
                " order as the reason."
            ),
        }.get(error.code)

    def _explain_subject(self, error):
        """Which receipt or order is corrected, at which register."""
        values = {name: error.values.get(name) for name in ('document', 'order', 'register', 'own')}
        return self._explain_wrong_receipt(error.code, values) or self._explain_order(error.code, values)

    def _explain_wrong_receipt(self, code, values):
        return {
            'correction_register': self.env._(
                "Register: %(register)s is archived, so it signs nothing. Choose another one of the company.", **values
            ),
            'correction_company': self.env._(
                "Register: %(document)s is a document of %(own)s, and %(register)s is registered for another company. Choose a"
                " register of %(own)s.",
                **values,
            ),
            'not_numbered': self.env._(
                "%(document)s has no FD number and no fiscal sign, so there is nothing to take back. If it could not be built,"
                " put right what it says and press Retry; if it waits for its register, correct it when it is numbered.",
                **values,
            ),
            'not_correctable': self.env._(
                "%(document)s takes a wrong receipt back or reports on a shift: it is not corrected. What was taken back is"
                " put right from its own form.",
                **values,
            ),
            'corrected_already': self.env._(
                "%(document)s has been corrected already: a receipt is taken back once and put right once. If its correction is"
                " wrong, too, correct the correction.",
                **values,
            ),
        }.get(code)

    def _explain_order(self, code, values):
        return {
            'order_company': self.env._(
                "Register: %(order)s is an order of %(own)s, and %(register)s is registered for another company. Choose one of"
                " %(own)s.",
                **values,
            ),
            'order_not_paid': self.env._("%(order)s is not paid: nothing was settled that a receipt could state.", **values),
            'order_has_receipt': self.env._(
                "%(order)s has its receipt: %(document)s. If that is wrong, open it and press Correct there.", **values
            ),
            'order_unbuilt': self.env._(
                "%(order)s has a receipt that could not be built yet. Put right what it says and press Retry there. Where that"
                " can't be done, mark it as handled first: then this correction is the sale's only document.",
                **values,
            ),
            'order_corrected': self.env._("%(order)s has its correction already: %(document)s.", **values),
        }.get(code)

    def _explain_content(self, error):
        """Lines and payments."""
        values = error.values
        tag = TAGS.get(values.get('field'))
        field = f"«{tag.title}» ({tag.number})" if tag else ''
        rates = dict(self.env['kkt.correction.draft.line']._fields['vat_rate']._description_selection(self.env))
        rate = rates.get(str(values.get('rate')))
        day = format_date(self.env, values['day']) if 'day' in values else ''
        if error.code == 'vat_day':
            return (
                self.env._("VAT: %(rate)s was no rate of %(day)s. Choose the rate of that day.", rate=rate, day=day)
                if rate
                else self.env._("VAT: no rate is chosen.")
            )
        return {
            'no_items': self.env._("Lines: there are none. State what was sold."),
            'negative_line': self.env._("Sum: it is negative. Discounts lower the sums of the lines themselves."),
            'quantity': self.env._("Quantity: it must be positive."),
            'payments': self.env._(
                "Payments: they are %(paid).2f together, and the lines %(total).2f. Both must be the same, and none negative.",
                paid=values.get('paid', 0) / 100,
                total=values.get('total', 0) / 100,
            ),
            'contact': self.env._(
                "Buyer's e-mail or phone: %s is neither. A phone number has its country: +79161234567.", values.get('contact')
            ),
            'missing': self.env._("%s is empty. Fill it in.", field),
            'length': self.env._(
                "%(field)s is longer than %(most)s characters. Shorten it.", field=field, most=values.get('most')
            ),
            'size': self.env._(
                "Lines: the document would have %(size)s bytes, of which there may be %(most)s.",
                size=values.get('size'),
                most=values.get('most'),
            ),
        }.get(error.code)
