from . import (
    test_bad_input,
    test_breaker_model,
    test_ofd,
    test_processing,
    test_receipt,
    test_refusal,
    test_register,
    test_rights,
    test_sale,
    test_tours,
    test_uninstall,
    test_watch,
)
