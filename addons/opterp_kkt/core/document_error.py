class DocumentError(ValueError):
    """The sale can't be put into a fiscal document. `code` names the rule, `values` fill its text: field (a tag), line, …"""

    def __init__(self, code: str, **values):
        super().__init__(code)
        self.code = code
        self.values = values
