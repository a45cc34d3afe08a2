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

    ALLOCATION_RULES = "query($version: Long) { allocationRules(version: $version) { version effectiveFrom reason setAt
        costCentres { code name }
        rules { kind when { dimension value } costCentre dimension costCentres { value costCentre } }
        sharedCost { kind weights { costCentre weight } meter costCentre } inForce { version effectiveFrom } } }";
    SET_ALLOCATION_RULES = "mutation($input: SetAllocationRulesInput!) {
        setAllocationRules(input: $input) { outcome error { message } } }";

    RECORD_INVOICE = "mutation($input: RecordInvoiceInput!) {
        recordInvoice(input: $input) { outcome error { message } } }";
    RECONCILE_INVOICE = "mutation($input: ReconcileInvoiceInput!) {
        reconcileInvoice(input: $input) { outcome error { message } } }";
    WITHDRAW_INVOICE = "mutation($input: WithdrawInvoiceInput!) {
        withdrawInvoice(input: $input) { outcome error { message } } }";
    INVOICES = "query($provider: String, $first: Int!, $after: String, $position: Position) {
        invoices(provider: $provider, first: $first, after: $after, minPosition: $position) {
        nodes { uuid provider account number from to format file status revision lines recordedLines amount recordedAt
            revisedAt withdrawnAt withdrawnReason reconciliation { comparedPosition billed expected difference
                causes { cause variances difference } variances tolerance calls unpricedCalls unvaluedLines reconciledAt } }
        pageInfo { hasNextPage endCursor } } }";
    INVOICE = "query($id: ID!, $position: Position) { invoice(id: $id, minPosition: $position) {
        uuid provider account number from to format file status revision lines recordedLines amount recordedAt
        revisedAt withdrawnAt withdrawnReason reconciliation { comparedPosition billed expected difference
            causes { cause variances difference } variances tolerance calls unpricedCalls unvaluedLines reconciledAt } } }";
    INVOICE_VARIANCES = "query($id: ID!, $cause: VarianceCause, $first: Int!, $after: String, $position: Position) {
        invoiceVariances(invoiceId: $id, cause: $cause, first: $first, after: $after, minPosition: $position) {
        nodes { number cause detail day model meter line lines billedQuantity expectedQuantity billed expected difference }
        pageInfo { hasNextPage endCursor } } }";
    SCHEDULES = "query($first: Int!, $after: String) { schedules(first: $first, after: $after) {
        nodes { uuid name status owner failure lastRanAt nextRunAt definition { content format by
            filters { dimension value } tagKey top digits focusVersion every weekday dayOfMonth time timeZone period
            delayMinutes file } } pageInfo { hasNextPage endCursor } } }";
    SCHEDULE = "query($id: ID!, $first: Int!) { schedule(id: $id) {
        uuid name status owner failure lastRanAt nextRunAt definition { content format by
            filters { dimension value } tagKey top digits focusVersion every weekday dayOfMonth time timeZone period
            delayMinutes file }
        runs(first: $first) { nodes { outcome dueAt request lastDueAt skipped period file bytes sha256 rows knownAt
            reason at } } } }";
    DEFINE_SCHEDULE = "mutation($input: DefineScheduleInput!) {
        defineSchedule(input: $input) { outcome error { message } schedule { uuid } } }";
    CHANGE_SCHEDULE = "mutation($input: ChangeScheduleInput!) {
        changeSchedule(input: $input) { outcome error { message } } }";
    PAUSE_SCHEDULE = "mutation($input: PauseScheduleInput!) {
        pauseSchedule(input: $input) { outcome error { message } } }";
    RESUME_SCHEDULE = "mutation($input: ResumeScheduleInput!) {
        resumeSchedule(input: $input) { outcome error { message } } }";
    DELETE_SCHEDULE = "mutation($input: DeleteScheduleInput!) {
        deleteSchedule(input: $input) { outcome error { message } } }";
    RUN_SCHEDULE = "mutation($input: RunScheduleInput!) {
        runSchedule(input: $input) { outcome error { message } } }";

    ALERT_ENDPOINTS = "query { alertEndpoints { uuid name kind host budgetIds previousSecretUntil silentUntil
        disabled { cause reason } definedAt changedAt } }";
    ALERT_DELIVERIES = "query($endpoint: UUID, $state: AlertDeliveryState, $first: Int!, $after: String) {
        alertDeliveries(endpointId: $endpoint, state: $state, first: $first, after: $after) {
        nodes { uuid endpointUuid type budgetUuid thresholdPercent state attempts error createdAt nextAttemptAt finishedAt }
        pageInfo { hasNextPage endCursor } } }";
    BUDGET_STATUSES = "query($first: Int!, $after: String, $position: Position) {
        budgets(first: $first, after: $after, minPosition: $position) {
        nodes { uuid name control { enforcement measure meter suspended }
            period { startsAt endsAt limit charged assumed reserved left excess wouldRefuse counted
                pace { perHour exhaustsAt } } }
        pageInfo { hasNextPage endCursor } } }";
    BUDGET_REFUSALS = "query($budget: ID, $from: DateTime, $to: DateTime, $first: Int!, $after: String,
        $position: Position) {
        budgetRefusals(budgetId: $budget, from: $from, to: $to, first: $first, after: $after, minPosition: $position) {
        nodes { minute budgetId reason dimension agentId apiKeyId userId refusals }
        pageInfo { hasNextPage endCursor } } }";
    BUDGET_HISTORY = "query($id: ID!, $parts: [BudgetHistoryPart!], $first: Int!, $before: Position) {
        budgetHistory(id: $id, parts: $parts, first: $first, before: $before) {
        entries { position recordedAt kind actor reason limit enforcement amount until reservation agentId
            refusal { reason dimension left renewsAt } } next } }";
    BUDGET_PREVIEW = "query($terms: BudgetTermsInput!, $month: String!, $position: Position) {
        budgetPreview(terms: $terms, month: $month, minPosition: $position) {
        from to calls refusedCalls refused unpricedCalls cutAfter
        periods { startsAt endsAt limit grantedCalls charged refusedCalls refused unpricedCalls firstRefusedAt } } }";
    APPROVALS = "query($first: Int!, $after: String) {
        approvals(first: $first, after: $after) {
        nodes { uuid status budgetId reservation agentId model amount requestedAt expiresAt periodEndsAt answeredAt reason }
        pageInfo { hasNextPage endCursor } } }";
    ANSWER_APPROVAL = "mutation($input: AnswerApprovalInput!) {
        answerApproval(input: $input) { outcome error { message } } }";
    DEFINE_ALERT_ENDPOINT = "mutation($input: DefineAlertEndpointInput!) {
        defineAlertEndpoint(input: $input) { outcome error { message } secret } }";
    REVISE_ALERT_ENDPOINT = "mutation($input: ReviseAlertEndpointInput!) {
        reviseAlertEndpoint(input: $input) { outcome error { message } } }";
    ROTATE_ALERT_ENDPOINT_SECRET = "mutation($input: RotateAlertEndpointSecretInput!) {
        rotateAlertEndpointSecret(input: $input) { outcome error { message } secret } }";
    DISABLE_ALERT_ENDPOINT = "mutation($input: AlertEndpointInput!) {
        disableAlertEndpoint(input: $input) { outcome error { message } } }";
    ENABLE_ALERT_ENDPOINT = "mutation($input: AlertEndpointInput!) {
        enableAlertEndpoint(input: $input) { outcome error { message } } }";
    REMOVE_ALERT_ENDPOINT = "mutation($input: AlertEndpointInput!) {
        removeAlertEndpoint(input: $input) { outcome error { message } } }";
    SILENCE_ALERT_ENDPOINT = "mutation($input: SilenceAlertEndpointInput!) {
        silenceAlertEndpoint(input: $input) { outcome error { message } } }";
    TEST_ALERT_ENDPOINT = "mutation($input: TestAlertEndpointInput!) {
        testAlertEndpoint(input: $input) { outcome error { message } } }";
    REDELIVER_ALERTS = "mutation($input: RedeliverAlertsInput!) {
        redeliverAlerts(input: $input) { outcome error { message } } }";

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
    RECEIPT = "query($id: ID!, $head: Position!) { call(id: $id, asOf: { position: $head }) { receipt { text } } }";
    RECEIPT_DOCUMENT = "query($id: ID!, $head: Position!) { call(id: $id, asOf: { position: $head }) { receipt {
        text
        usage { meter quantity parts { meter quantity } units billedAs }
        charge { amount currency bookVersion effectiveFrom seller matched { model by pattern } contract
            discount { name percent }
            lines { meter units rate per
                when { context { above graduated } serviceTier speed region
                    time { from to utcOffsetMinutes weekdays } } cost }
            unbilled }
        source { name licence dated } sourceVersion unpriced } } }";
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
