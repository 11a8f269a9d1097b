from . import test_receipt, test_register, test_sale, test_tours
