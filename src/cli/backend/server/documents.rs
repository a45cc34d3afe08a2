//! The GraphQL documents of the subcommands. A test checks each against the schema.

/// Defines documents by name, and the list of all of them.
macro_rules! documents {
    ($($name:ident = $text:literal;)+) => {
        $(pub(super) const $name: &str = $text;)+
        /// All documents, with their names.
        #[cfg(test)]
        pub(in crate::cli) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name),)+];
    };
}

documents! {
    VIEWER = "query { viewer { actor tenant permissions } }";
    TAG_KEYS = "query { tagKeys { key declaredAt } }";
    DECLARE_TAG_KEY = "mutation($input: DeclareTagKeyInput!) {
        declareTagKey(input: $input) { outcome error { message } } }";
    WITHDRAW_TAG_KEY = "mutation($input: WithdrawTagKeyInput!) {
        withdrawTagKey(input: $input) { outcome error { message } } }";

    ACCOUNTS = "query($first: Int!, $after: String) { serviceAccounts(first: $first, after: $after) {
        nodes { uuid name disabled roles customRoleIds } pageInfo { hasNextPage endCursor } } }";
    CREATE_ACCOUNT = "mutation($input: CreateServiceAccountInput!) {
        createServiceAccount(input: $input) { outcome error { message } serviceAccount { uuid } } }";
    DISABLE_ACCOUNT = "mutation($input: DisableServiceAccountInput!) {
        disableServiceAccount(input: $input) { outcome error { message } } }";
    ENABLE_ACCOUNT = "mutation($input: EnableServiceAccountInput!) {
        enableServiceAccount(input: $input) { outcome error { message } } }";

    KEYS = "query($first: Int!, $after: String) { apiKeys(first: $first, after: $after) {
        nodes { uuid serviceAccountId scopes { all only } agentId teamId expiresAt revoked lastUsedHour }
        pageInfo { hasNextPage endCursor } } }";
    CREATE_KEY = "mutation($input: CreateApiKeyInput!) {
        createApiKey(input: $input) { outcome error { message } secret apiKey { uuid } } }";
    ROTATE_KEY = "mutation($input: RotateApiKeyInput!) {
        rotateApiKey(input: $input) { outcome error { message } secret apiKey { uuid } } }";
    REVOKE_KEY = "mutation($input: RevokeApiKeyInput!) {
        revokeApiKey(input: $input) { outcome error { message } } }";

    ROLES = "query($first: Int!, $after: String) { roles(first: $first, after: $after) {
        nodes { custom { uuid name permissions withdrawn } } pageInfo { hasNextPage endCursor } } }";
    ASSIGNMENTS = "query($filter: RoleAssignmentFilter, $first: Int!, $after: String) {
        roleAssignments(filter: $filter, first: $first, after: $after) {
        nodes { holder { kind uuid name } role { builtIn customId name } agentId teamId grantedAt grantedBy }
        pageInfo { hasNextPage endCursor } } }";
    DEFINE_ROLE = "mutation($input: DefineRoleInput!) {
        defineRole(input: $input) { outcome error { message } role { uuid } } }";
    CHANGE_ROLE = "mutation($input: ChangeRoleInput!) { changeRole(input: $input) { outcome error { message } } }";
    WITHDRAW_ROLE = "mutation($input: WithdrawRoleInput!) {
        withdrawRole(input: $input) { outcome error { message } } }";
    GRANT_ROLE = "mutation($input: GrantRoleInput!) { grantRole(input: $input) { outcome error { message } } }";
    REVOKE_ROLE = "mutation($input: RevokeRoleInput!) { revokeRole(input: $input) { outcome error { message } } }";

    TEAMS = "query($first: Int!, $after: String) { teams(first: $first, after: $after) {
        nodes { uuid name closed memberCount agentCount } pageInfo { hasNextPage endCursor } } }";
    MEMBERS = "query($id: ID!, $first: Int!, $after: String) { node(id: $id) { ... on Team {
        members(first: $first, after: $after) {
            nodes { kind uuid name addedAt addedBy } pageInfo { hasNextPage endCursor } } } } }";
    TEAM_AGENTS = "query($id: ID!, $first: Int!, $after: String) { node(id: $id) { ... on Team {
        agents(first: $first, after: $after) {
            nodes { uuid addedAt addedBy } pageInfo { hasNextPage endCursor } } } } }";
    CREATE_TEAM = "mutation($input: CreateTeamInput!) {
        createTeam(input: $input) { outcome error { message } team { uuid } } }";
    RENAME_TEAM = "mutation($input: RenameTeamInput!) { renameTeam(input: $input) { outcome error { message } } }";
    ADD_MEMBER = "mutation($input: AddTeamMemberInput!) {
        addTeamMember(input: $input) { outcome error { message } } }";
    REMOVE_MEMBER = "mutation($input: RemoveTeamMemberInput!) {
        removeTeamMember(input: $input) { outcome error { message } } }";
    ADD_AGENT = "mutation($input: TeamAgentInput!) { addTeamAgent(input: $input) { outcome error { message } } }";
    REMOVE_AGENT = "mutation($input: TeamAgentInput!) {
        removeTeamAgent(input: $input) { outcome error { message } } }";
    CLOSE_TEAM = "mutation($input: CloseTeamInput!) { closeTeam(input: $input) { outcome error { message } } }";

    REVIEW = "query($first: Int!, $after: String) { accessReview(first: $first, after: $after) {
        nodes { holder { kind uuid name } permissions agentId teamId
            grant { role { builtIn customId name } grantedAt grantedBy team { id name memberSince addedBy } }
            key { apiKey { uuid serviceAccountId scopes { all only } agentId teamId expiresAt revoked lastUsedHour } } }
        pageInfo { hasNextPage endCursor } } }";

    CORRECT_CALL = "mutation($input: CorrectCallInput!) { correctCall(input: $input) { outcome error { message } } }";
    HEAD = "query { head }";
    RECEIPT = "query($id: ID!, $head: Position!) { call(id: $id, asOf: { position: $head }) { receipt { text } } }";
    VOID_CALL = "mutation($input: VoidCallInput!) { voidCall(input: $input) { outcome error { message } } }";

    USERS = "query($first: Int!, $after: String) { users(first: $first, after: $after) {
        nodes { uuid email displayName source createdAt disabled hasPassword codesRequired signInProviders roles
            customRoleIds resetRequestedAt }
        pageInfo { hasNextPage endCursor } } }";
    INVITATIONS = "query($first: Int!, $after: String) { invitations(first: $first, after: $after) {
        nodes { uuid email roles createdAt expiresAt acceptedById revoked } pageInfo { hasNextPage endCursor } } }";
    CREATE_USER = "mutation($input: CreateUserInput!) {
        createUser(input: $input) { outcome error { message } user { uuid } } }";
    INVITE_USER = "mutation($input: InviteUserInput!) {
        inviteUser(input: $input) { outcome error { message } token invitation { uuid expiresAt } } }";
    REVOKE_INVITATION = "mutation($input: RevokeInvitationInput!) {
        revokeInvitation(input: $input) { outcome error { message } } }";
    RESET_LINK = "mutation($input: CreatePasswordResetLinkInput!) {
        createPasswordResetLink(input: $input) { outcome error { message } token expiresAt } }";
    DISABLE_CODES = "mutation($input: UserInput!) {
        disableOneTimeCodes(input: $input) { outcome error { message } } }";
    DISABLE_USER = "mutation($input: DisableUserInput!) {
        disableUser(input: $input) { outcome error { message } } }";
    ENABLE_USER = "mutation($input: UserInput!) { enableUser(input: $input) { outcome error { message } } }";
    ERASE_USER = "mutation($input: UserInput!) { eraseUser(input: $input) { outcome error { message } } }";
}
