from . import (
    base_module_uninstall,
    kkt_correction_draft,
    kkt_correction_draft_line,
    kkt_receipt_handle,
)
