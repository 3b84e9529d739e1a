# Run by CPack on what it is about to pack: everything gets the date of SOURCE_DATE_EPOCH. rpmbuild only makes younger
# files older, and the files of a checkout have the day on which they were checked out.
if(IS_DIRECTORY "${CPACK_TEMPORARY_DIRECTORY}" AND DEFINED ENV{SOURCE_DATE_EPOCH})
  execute_process(COMMAND find "${CPACK_TEMPORARY_DIRECTORY}" -depth
    -exec touch --no-dereference "--date=@$ENV{SOURCE_DATE_EPOCH}" {} +
    COMMAND_ERROR_IS_FATAL ANY)
endif()
