/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings_link.h"
#include "base/text.h"

#include <errno.h>

#define PATH_OF_SOCKET_MAX           100 /* struct sockaddr_un has 108, with the name while it is made */
#define KEY(label, how, member, ...) CONFIG_KEY(label, how, Settings, link.member, __VA_ARGS__)

const ConfigKey link_keys[N_LINK_KEYS] = {
        KEY("Listen", key_path, listen),
        KEY("LoopbackPort", key_unsigned, loopback_port, .min = 1, .max = UINT16_MAX),
        KEY("Bluetooth", key_bool, bluetooth),
        KEY("BluetoothAdapter", key_text, adapter, .min = 1, .max = 15),
        KEY("BluetoothPhones", key_unsigned, phones, .min = 1, .max = 8),
        KEY("CertFile", key_path, cert_file),
        KEY("KeyFile", key_path, key_file),
        KEY("CaFile", key_path, ca_file),
        KEY("RevocationFile", key_path, revocation_file),
};

/* Only certain errors: the user who checks the configuration may have fewer rights than lockerd-link. */
static void check_file(Complaints *c, const char *file, const char *key, const char *path) {
        if (path && access(path, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR))
                complain_at(c, file, 0, "[Link] %s=%s: there is no such file", key, path);
}

void settings_check_link(Complaints *c, const char *file, const LinkSettings *l) {
        bool on = link_settings_are_on(l);

        if (!on && (l->cert_file || l->key_file || l->ca_file || l->revocation_file))
                complain_at(c, file, 0,
                            "[Link]: Listen=, LoopbackPort= and Bluetooth= are missing; without one of them "
                            "there is no link");
        if (on && !(l->cert_file && l->key_file && l->ca_file))
                complain_at(c, file, 0,
                            "[Link]: CertFile=, KeyFile= and CaFile= are needed: the cabinet shows "
                            "handhelds who it is, and couriers show it");
        if (!l->bluetooth && l->adapter)
                complain_at(c, file, 0, "[Link] BluetoothAdapter=%s needs Bluetooth=yes", l->adapter);
        if (l->adapter && (strncmp(l->adapter, "hci", 3) != 0 || !text_is_digits(l->adapter + 3)))
                complain_at(c, file, 0, "[Link] BluetoothAdapter=%s: adapters are called hci0, hci1, …",
                            l->adapter);
        if (l->listen && strlen(l->listen) > PATH_OF_SOCKET_MAX)
                complain_at(c, file, 0, "[Link] Listen=%s: the path of a socket has at most %d characters",
                            l->listen, PATH_OF_SOCKET_MAX);
        check_file(c, file, "CertFile", l->cert_file);
        check_file(c, file, "KeyFile", l->key_file);
        check_file(c, file, "CaFile", l->ca_file);
        check_file(c, file, "RevocationFile", l->revocation_file);
}
