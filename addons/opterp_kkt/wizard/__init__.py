from . import (
    base_module_uninstall,
    kkt_receipt_handle,
)
