//! What Node loads: the library registers its functions and classes itself.

use dollar_send as _;
