/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Made from abi.h by tools/gen_abi.py: include it after abi.h. The compiler must lay out structures as Python does. */
/* clang-format off */
#ifndef BULKHEAD_ABI_CHECK_H
#define BULKHEAD_ABI_CHECK_H

_Static_assert(sizeof(struct arena_slot) == 8, "struct arena_slot: size");
_Static_assert(__builtin_offsetof(struct arena_slot, next) == 0, "struct arena_slot: next");
_Static_assert(__builtin_offsetof(struct arena_slot, check) == 4, "struct arena_slot: check");

_Static_assert(sizeof(struct arena) == 12582912, "struct arena: size");
_Static_assert(__builtin_offsetof(struct arena, slots) == 0, "struct arena: slots");

_Static_assert(sizeof(struct outcome) == 120, "struct outcome: size");
_Static_assert(__builtin_offsetof(struct outcome, decisions) == 0, "struct outcome: decisions");
_Static_assert(__builtin_offsetof(struct outcome, blocked) == 96, "struct outcome: blocked");
_Static_assert(__builtin_offsetof(struct outcome, strictest) == 104, "struct outcome: strictest");
_Static_assert(__builtin_offsetof(struct outcome, program) == 112, "struct outcome: program");
_Static_assert(__builtin_offsetof(struct outcome, pad) == 116, "struct outcome: pad");

_Static_assert(sizeof(struct policy_set) == 1224, "struct policy_set: size");
_Static_assert(__builtin_offsetof(struct policy_set, flags) == 0, "struct policy_set: flags");
_Static_assert(__builtin_offsetof(struct policy_set, nameless) == 4, "struct policy_set: nameless");
_Static_assert(__builtin_offsetof(struct policy_set, subject) == 8, "struct policy_set: subject");
_Static_assert(__builtin_offsetof(struct policy_set, pad) == 12, "struct policy_set: pad");
_Static_assert(__builtin_offsetof(struct policy_set, unresolved) == 16, "struct policy_set: unresolved");
_Static_assert(__builtin_offsetof(struct policy_set, network_unresolved) == 136, "struct policy_set: network_unresolved");
_Static_assert(__builtin_offsetof(struct policy_set, borrowing) == 144, "struct policy_set: borrowing");
_Static_assert(__builtin_offsetof(struct policy_set, capabilities) == 152, "struct policy_set: capabilities");
_Static_assert(__builtin_offsetof(struct policy_set, operations) == 664, "struct policy_set: operations");
_Static_assert(__builtin_offsetof(struct policy_set, sockets) == 792, "struct policy_set: sockets");
_Static_assert(__builtin_offsetof(struct policy_set, socket_cells) == 1048, "struct policy_set: socket_cells");
_Static_assert(__builtin_offsetof(struct policy_set, socket_rows) == 1144, "struct policy_set: socket_rows");
_Static_assert(__builtin_offsetof(struct policy_set, socket_columns) == 1208, "struct policy_set: socket_columns");

_Static_assert(sizeof(struct anchor_key) == 8, "struct anchor_key: size");
_Static_assert(__builtin_offsetof(struct anchor_key, epoch) == 0, "struct anchor_key: epoch");
_Static_assert(__builtin_offsetof(struct anchor_key, anchor) == 4, "struct anchor_key: anchor");

_Static_assert(sizeof(struct link_key) == 16, "struct link_key: size");
_Static_assert(__builtin_offsetof(struct link_key, epoch) == 0, "struct link_key: epoch");
_Static_assert(__builtin_offsetof(struct link_key, device) == 4, "struct link_key: device");
_Static_assert(__builtin_offsetof(struct link_key, inode) == 8, "struct link_key: inode");

_Static_assert(sizeof(struct inode_memory) == 48, "struct inode_memory: size");
_Static_assert(__builtin_offsetof(struct inode_memory, directories) == 0, "struct inode_memory: directories");
_Static_assert(__builtin_offsetof(struct inode_memory, verdicts) == 16, "struct inode_memory: verdicts");
_Static_assert(__builtin_offsetof(struct inode_memory, moves) == 32, "struct inode_memory: moves");
_Static_assert(__builtin_offsetof(struct inode_memory, anchor) == 40, "struct inode_memory: anchor");
_Static_assert(__builtin_offsetof(struct inode_memory, pad) == 44, "struct inode_memory: pad");

_Static_assert(sizeof(struct departure) == 8, "struct departure: size");
_Static_assert(__builtin_offsetof(struct departure, container) == 0, "struct departure: container");
_Static_assert(__builtin_offsetof(struct departure, pad) == 4, "struct departure: pad");

_Static_assert(sizeof(struct process_memory) == 16, "struct process_memory: size");
_Static_assert(__builtin_offsetof(struct process_memory, subject) == 0, "struct process_memory: subject");
_Static_assert(__builtin_offsetof(struct process_memory, tainted) == 8, "struct process_memory: tainted");
_Static_assert(__builtin_offsetof(struct process_memory, pad) == 12, "struct process_memory: pad");

_Static_assert(sizeof(struct guard) == 16, "struct guard: size");
_Static_assert(__builtin_offsetof(struct guard, pins) == 0, "struct guard: pins");
_Static_assert(__builtin_offsetof(struct guard, pins_device) == 8, "struct guard: pins_device");
_Static_assert(__builtin_offsetof(struct guard, link_is_out) == 12, "struct guard: link_is_out");

_Static_assert(sizeof(struct guarded_key) == 8, "struct guarded_key: size");
_Static_assert(__builtin_offsetof(struct guarded_key, kind) == 0, "struct guarded_key: kind");
_Static_assert(__builtin_offsetof(struct guarded_key, id) == 4, "struct guarded_key: id");

_Static_assert(sizeof(struct prefix_key) == 24, "struct prefix_key: size");
_Static_assert(__builtin_offsetof(struct prefix_key, prefix_bits) == 0, "struct prefix_key: prefix_bits");
_Static_assert(__builtin_offsetof(struct prefix_key, set) == 4, "struct prefix_key: set");
_Static_assert(__builtin_offsetof(struct prefix_key, address) == 8, "struct prefix_key: address");

_Static_assert(sizeof(struct port_key) == 12, "struct port_key: size");
_Static_assert(__builtin_offsetof(struct port_key, prefix_bits) == 0, "struct port_key: prefix_bits");
_Static_assert(__builtin_offsetof(struct port_key, peer_class) == 4, "struct port_key: peer_class");
_Static_assert(__builtin_offsetof(struct port_key, protocol) == 8, "struct port_key: protocol");
_Static_assert(__builtin_offsetof(struct port_key, pad) == 9, "struct port_key: pad");
_Static_assert(__builtin_offsetof(struct port_key, port) == 10, "struct port_key: port");

_Static_assert(sizeof(struct network_state) == 40, "struct network_state: size");
_Static_assert(__builtin_offsetof(struct network_state, container) == 0, "struct network_state: container");
_Static_assert(__builtin_offsetof(struct network_state, pad) == 4, "struct network_state: pad");
_Static_assert(__builtin_offsetof(struct network_state, packets_allowed) == 8, "struct network_state: packets_allowed");
_Static_assert(__builtin_offsetof(struct network_state, packets_denied) == 16, "struct network_state: packets_denied");
_Static_assert(__builtin_offsetof(struct network_state, bytes_allowed) == 24, "struct network_state: bytes_allowed");
_Static_assert(__builtin_offsetof(struct network_state, bytes_denied) == 32, "struct network_state: bytes_denied");

_Static_assert(sizeof(struct socket_memory) == 16, "struct socket_memory: size");
_Static_assert(__builtin_offsetof(struct socket_memory, epoch) == 0, "struct socket_memory: epoch");
_Static_assert(__builtin_offsetof(struct socket_memory, subject) == 8, "struct socket_memory: subject");

_Static_assert(sizeof(struct counter_key) == 16, "struct counter_key: size");
_Static_assert(__builtin_offsetof(struct counter_key, container) == 0, "struct counter_key: container");
_Static_assert(__builtin_offsetof(struct counter_key, set) == 4, "struct counter_key: set");
_Static_assert(__builtin_offsetof(struct counter_key, rule) == 8, "struct counter_key: rule");
_Static_assert(__builtin_offsetof(struct counter_key, verdict) == 12, "struct counter_key: verdict");

_Static_assert(sizeof(struct repeat_key) == 32, "struct repeat_key: size");
_Static_assert(__builtin_offsetof(struct repeat_key, container) == 0, "struct repeat_key: container");
_Static_assert(__builtin_offsetof(struct repeat_key, set) == 4, "struct repeat_key: set");
_Static_assert(__builtin_offsetof(struct repeat_key, rule) == 8, "struct repeat_key: rule");
_Static_assert(__builtin_offsetof(struct repeat_key, verdict) == 12, "struct repeat_key: verdict");
_Static_assert(__builtin_offsetof(struct repeat_key, operation) == 13, "struct repeat_key: operation");
_Static_assert(__builtin_offsetof(struct repeat_key, pad) == 14, "struct repeat_key: pad");
_Static_assert(__builtin_offsetof(struct repeat_key, object) == 16, "struct repeat_key: object");
_Static_assert(__builtin_offsetof(struct repeat_key, subject) == 24, "struct repeat_key: subject");

_Static_assert(sizeof(struct repeat) == 24, "struct repeat: size");
_Static_assert(__builtin_offsetof(struct repeat, first_ns) == 0, "struct repeat: first_ns");
_Static_assert(__builtin_offsetof(struct repeat, last_ns) == 8, "struct repeat: last_ns");
_Static_assert(__builtin_offsetof(struct repeat, count) == 16, "struct repeat: count");

_Static_assert(sizeof(struct record) == 2312, "struct record: size");
_Static_assert(__builtin_offsetof(struct record, time_ns) == 0, "struct record: time_ns");
_Static_assert(__builtin_offsetof(struct record, cgroup) == 8, "struct record: cgroup");
_Static_assert(__builtin_offsetof(struct record, process_start_ns) == 16, "struct record: process_start_ns");
_Static_assert(__builtin_offsetof(struct record, repeat) == 24, "struct record: repeat");
_Static_assert(__builtin_offsetof(struct record, epoch) == 56, "struct record: epoch");
_Static_assert(__builtin_offsetof(struct record, flags) == 60, "struct record: flags");
_Static_assert(__builtin_offsetof(struct record, pid) == 64, "struct record: pid");
_Static_assert(__builtin_offsetof(struct record, parent) == 68, "struct record: parent");
_Static_assert(__builtin_offsetof(struct record, namespace_pid) == 72, "struct record: namespace_pid");
_Static_assert(__builtin_offsetof(struct record, uid) == 76, "struct record: uid");
_Static_assert(__builtin_offsetof(struct record, gid) == 80, "struct record: gid");
_Static_assert(__builtin_offsetof(struct record, device) == 84, "struct record: device");
_Static_assert(__builtin_offsetof(struct record, number) == 88, "struct record: number");
_Static_assert(__builtin_offsetof(struct record, protocol) == 92, "struct record: protocol");
_Static_assert(__builtin_offsetof(struct record, address_pad) == 93, "struct record: address_pad");
_Static_assert(__builtin_offsetof(struct record, port) == 94, "struct record: port");
_Static_assert(__builtin_offsetof(struct record, address) == 96, "struct record: address");
_Static_assert(__builtin_offsetof(struct record, comm) == 112, "struct record: comm");
_Static_assert(__builtin_offsetof(struct record, object_bytes) == 128, "struct record: object_bytes");
_Static_assert(__builtin_offsetof(struct record, executable_bytes) == 130, "struct record: executable_bytes");
_Static_assert(__builtin_offsetof(struct record, arguments_bytes) == 132, "struct record: arguments_bytes");
_Static_assert(__builtin_offsetof(struct record, pad) == 134, "struct record: pad");
_Static_assert(__builtin_offsetof(struct record, executable) == 136, "struct record: executable");
_Static_assert(__builtin_offsetof(struct record, arguments) == 1160, "struct record: arguments");
_Static_assert(__builtin_offsetof(struct record, object) == 1288, "struct record: object");

_Static_assert(sizeof(struct statistics) == 128, "struct statistics: size");
_Static_assert(__builtin_offsetof(struct statistics, values) == 0, "struct statistics: values");

_Static_assert(sizeof(struct instance) == 48, "struct instance: size");
_Static_assert(__builtin_offsetof(struct instance, abi_version) == 0, "struct instance: abi_version");
_Static_assert(__builtin_offsetof(struct instance, next_epoch) == 4, "struct instance: next_epoch");
_Static_assert(__builtin_offsetof(struct instance, next_anchor) == 8, "struct instance: next_anchor");
_Static_assert(__builtin_offsetof(struct instance, pad) == 12, "struct instance: pad");
_Static_assert(__builtin_offsetof(struct instance, bundle) == 16, "struct instance: bundle");

_Static_assert(sizeof(struct layer_key) == 8, "struct layer_key: size");
_Static_assert(__builtin_offsetof(struct layer_key, container) == 0, "struct layer_key: container");
_Static_assert(__builtin_offsetof(struct layer_key, device) == 4, "struct layer_key: device");

_Static_assert(sizeof(struct layer) == 24, "struct layer: size");
_Static_assert(__builtin_offsetof(struct layer, kind) == 0, "struct layer: kind");
_Static_assert(__builtin_offsetof(struct layer, pad) == 4, "struct layer: pad");
_Static_assert(__builtin_offsetof(struct layer, since_ns) == 8, "struct layer: since_ns");
_Static_assert(__builtin_offsetof(struct layer, since_boottime_ns) == 16, "struct layer: since_boottime_ns");

_Static_assert(sizeof(struct writing) == 8, "struct writing: size");
_Static_assert(__builtin_offsetof(struct writing, boottime_ns) == 0, "struct writing: boottime_ns");

_Static_assert(sizeof(struct seen) == 131072, "struct seen: size");
_Static_assert(__builtin_offsetof(struct seen, tags) == 0, "struct seen: tags");

_Static_assert(sizeof(struct start_rule) == 56, "struct start_rule: size");
_Static_assert(__builtin_offsetof(struct start_rule, below) == 0, "struct start_rule: below");
_Static_assert(__builtin_offsetof(struct start_rule, since_ns) == 8, "struct start_rule: since_ns");
_Static_assert(__builtin_offsetof(struct start_rule, sign_ns) == 16, "struct start_rule: sign_ns");
_Static_assert(__builtin_offsetof(struct start_rule, lapse_ns) == 24, "struct start_rule: lapse_ns");
_Static_assert(__builtin_offsetof(struct start_rule, state) == 32, "struct start_rule: state");
_Static_assert(__builtin_offsetof(struct start_rule, state_device) == 40, "struct start_rule: state_device");
_Static_assert(__builtin_offsetof(struct start_rule, root) == 44, "struct start_rule: root");
_Static_assert(__builtin_offsetof(struct start_rule, sandboxes) == 48, "struct start_rule: sandboxes");
_Static_assert(__builtin_offsetof(struct start_rule, pad) == 52, "struct start_rule: pad");

#endif
