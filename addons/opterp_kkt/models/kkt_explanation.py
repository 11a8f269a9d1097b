from odoo import models
from odoo.tools import format_date

from ..core.tags import TAGS


class KktExplanation(models.AbstractModel):
    """What a `DocumentError` means for the shop: where it is, what is wrong, what to do."""

    _name = 'kkt.explanation'
    _description = "Explanation of What Is Wrong with a Document"

    def _explain(self, error):
        return self._in_line(error, self._explain_register(error) or self._explain_sale(error) or self._explain_field(error))

    def _in_line(self, error, text):
        if not error.values.get('line'):
            return text
        return self.env._(
            "Line %(line)s (%(name)s): %(text)s", line=error.values['line'], name=error.values.get('name'), text=text
        )

    def _explain_defect(self, error):
        """What nobody foresaw: a defect of the program."""
        return self.env._(
            "The document could not be built (%(error)s). The sale is stored. Please tell the administrator, and press Retry"
            " when it is mended.",
            error=repr(error),
        )

    def _explain_register(self, error):
        """What is wrong with the register, or whom it serves."""
        values = error.values
        return {
            'inn': self.env._(
                "%(company)s has no INN as its tax ID. Set it on the company, then press Retry.", company=values.get('company')
            ),
            'sender': self.env._(
                "%(ofd)s states the shop's e-mail address on each receipt, and %(company)s has none, or none of that form. Set it"
                " on the company, then press Retry.",
                company=values.get('company'),
                ofd=values.get('ofd'),
            ),
            'register': self.env._(
                "%(register)s is archived or serves another point of sale now, so it gives %(pos)s no fiscal receipts. Connect a"
                " register to %(pos)s, then press Retry.",
                register=values.get('register'),
                pos=values.get('pos'),
            ),
            'company': self.env._(
                "The order belongs to %(company)s, but %(register)s is registered for %(own)s. Connect a register of"
                " %(company)s to the point of sale, then press Retry.",
                company=values.get('company'),
                register=values.get('register'),
                own=values.get('own'),
            ),
            'numbers': self.env._(
                "%(register)s has no number left for another document. Put another fiscal drive in, then press Retry.",
                register=values.get('register'),
            ),
        }.get(error.code)

    def _explain_sale(self, error):
        """What is wrong with the sale itself."""
        values = error.values
        return {
            'currency': self.env._(
                "A fiscal receipt is in roubles, this order is in %(currency)s.", currency=values.get('currency')
            ),
            'no_items': self.env._("The order has no lines."),
            'negative_total': self.env._("The discounts are larger than the goods."),
            'quantity': self.env._("A line has no positive quantity."),
            'too_large': self.env._("An amount or a quantity is larger than a fiscal document can state."),
            'payments': self.env._(
                "The payments (%(paid).2f) don't add up to the lines (%(total).2f).",
                paid=values.get('paid', 0) / 100,
                total=values.get('total', 0) / 100,
            ),
            'payment_form': self.env._(
                "The payment method %(name)s names no form of payment for fiscal receipts. Set it there, then press Retry.",
                name=values.get('name'),
            ),
            'vat_rate': self.env._(
                "The taxes of %(name)s name no VAT rate for fiscal receipts. Set it on the tax, then press Retry.",
                name=values.get('name'),
            ),
            'vat_day': self.env._(
                "A receipt of %(day)s can't state the VAT rate with code %(rate)s. Set another one on the tax, then press Retry.",
                day=format_date(self.env, values['day']) if 'day' in values else '',
                rate=values.get('rate'),
            ),
            'marked': self.env._("These are marked goods, whose codes nothing here checks."),
        }.get(error.code)

    def _explain_field(self, error):
        """What is wrong with a field of the document."""
        tag = TAGS.get(error.values.get('field'))
        values = {
            'field': f"«{tag.title}» ({tag.number})" if tag else error.values.get('field'),
            'size': error.values.get('size'),
            'most': error.values.get('most'),
        }
        return {
            'missing': self.env._("%(field)s is empty. Fill it in, then press Retry.", **values),
            'decimals': self.env._("%(field)s has more than %(most)s decimals.", **values),
            'length': self.env._("%(field)s is longer than %(most)s characters. Shorten it, then press Retry.", **values),
            'size': self.env._(
                "The document or a part of it is too large: %(size)s bytes, of which there may be %(most)s. Such a sale needs"
                " several orders.",
                **values,
            ),
        }.get(error.code) or self.env._(
            "%(field)s does not fit the format of fiscal documents (%(rule)s). Please tell the administrator.",
            rule=error.code,
            **values,
        )
