/* SPDX-License-Identifier: MIT */
#ifndef TANDEM_BASE_VERSION_H
#define TANDEM_BASE_VERSION_H

#define TANDEM_VERSION "0.1.0"

#endif
