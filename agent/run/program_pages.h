// The pages of the program itself, code and constants, that are mapped into this process.
#pragma once

namespace msp::run {

/// Takes all of them out of the process's memory. What is used again comes back at its next use, from the
/// kernel's page cache and without a read of the disk as a rule; what only a start or a reload needed,
/// a fifth of what is resident, does not. Any thread.
void release_program_pages();

}  // namespace msp::run
