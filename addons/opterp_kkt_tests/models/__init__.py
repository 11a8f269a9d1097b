from . import kkt_delivery, parcel
