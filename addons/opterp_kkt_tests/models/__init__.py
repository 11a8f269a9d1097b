from . import kkt_delivery
