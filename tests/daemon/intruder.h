/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

void intruder_arm(void); /* reads what to try from the environment */
void intrude(void);
