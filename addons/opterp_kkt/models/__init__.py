from . import (
    account_tax,
    kkt_circuit_breaker,
    kkt_circuit_breaker_event,
    kkt_delivery,
    kkt_ofd,
    kkt_receipt,
    kkt_receipt_attempt,
    kkt_register,
    pos_config,
    pos_order,
    res_config_settings,
)
